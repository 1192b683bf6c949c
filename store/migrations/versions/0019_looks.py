"""Documents are looked for before they are added; what a person says of them is kept until it was looked up."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add; what waits already is looked for like everything else."""
    op.add_column("companies", sa.Column("look_before_adding", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("exports", sa.Column("claim", sa.JSON(), nullable=True))
    op.add_column("exports", sa.Column("ruled_out", sa.JSON(), nullable=True))
    op.add_column("requests", sa.Column("look", sa.JSON(), nullable=True))
    op.add_column("requests", sa.Column("look_max", sa.Integer(), server_default="1000", nullable=False))
    op.add_column("requests", sa.Column("looked_by", sa.String(64), nullable=True))


def downgrade() -> None:
    """Take the additions back."""
    for table, names in (
        ("requests", ("looked_by", "look_max", "look")),
        ("exports", ("ruled_out", "claim")),
        ("companies", ("look_before_adding",)),
    ):
        for name in names:
            op.drop_column(table, name)
