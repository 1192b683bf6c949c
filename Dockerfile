# One image for the jobs, the bridge, the API and the worker of docker-compose.yml.
FROM python:3.13.9-slim-bookworm@sha256:b685a4fa58bb19d1814d78a1ec0f0208f351452724f78b20212c984d6e124a34 AS build
COPY requirements-build.txt requirements.txt /build/
# One package comes as source only; its build tool is pinned too, and leaves together with pip.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: \
        -r /build/requirements-build.txt \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-build-isolation \
        -r /build/requirements.txt \
    && /venv/bin/pip uninstall --yes --disable-pip-version-check setuptools pip \
    && python -m compileall -q -x '(spyne|lib2to3)/' /venv/lib
# Temporal's server has its own container; the embedded one is 150 MB.
RUN rm -f /venv/bin/temporal

FROM python:3.13.9-slim-bookworm@sha256:b685a4fa58bb19d1814d78a1ec0f0208f351452724f78b20212c984d6e124a34
RUN useradd --system --uid 10001 --user-group --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin qbd \
    && rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip* /usr/local/lib/python3*/ensurepip
COPY --from=build /venv /venv
WORKDIR /app
COPY activities activities
COPY console console
COPY mapping mapping
COPY ops ops
COPY qbwc_bridge qbwc_bridge
COPY qbxml qbxml
COPY store store
COPY telemetry telemetry
COPY tms_api tms_api
COPY workflows workflows
COPY worker.py ./
RUN python -m compileall -q /app
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 QBD_DATA_DIR=/tmp/qbd
# A container has an address of its own, and others reach it there only; what is published is docker-compose.yml's word.
ENV QBD_LISTEN=0.0.0.0
# A number, so that an orchestrator can tell that it is not root.
USER 10001:10001
EXPOSE 8080 8081 9090
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-P", "-m", "ops", "health"]
ENTRYPOINT ["python", "-P", "-m", "ops"]
CMD ["--help"]
