"""What every process tells of itself: metrics, traces, and how they are served. Imports nothing of ours.

Labels, attributes and log fields hold ids, codes and counts: never a name, an amount, a document or a secret.
"""
