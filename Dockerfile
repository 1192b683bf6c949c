# One image for the bridge, the API, the worker and the migration job of docker-compose.yml.
FROM python:3.13.9-slim-bookworm AS build
COPY requirements.txt /build/requirements.txt
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /build/requirements.txt \
    # Temporal's server has its own container; the embedded one is 150 MB.
    && rm -f /venv/bin/temporal

FROM python:3.13.9-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /data --create-home qbd
COPY --from=build /venv /venv
WORKDIR /app
COPY activities activities
COPY console console
COPY mapping mapping
COPY ops ops
COPY qbwc_bridge qbwc_bridge
COPY qbxml qbxml
COPY store store
COPY tms_api tms_api
COPY workflows workflows
COPY worker.py ./
RUN python -m compileall -q /app
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 QBD_DATA_DIR=/data
USER qbd
VOLUME /data
ENTRYPOINT ["python", "-P", "-m", "ops"]
CMD ["--help"]
