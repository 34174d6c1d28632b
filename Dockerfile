# One image for every process of a deployment: API, worker, clock, migrations. docs/deployment.md explains each line.
FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /opt/canopy
RUN python -m venv /opt/venv
COPY requirements/runtime.txt requirements/runtime.txt
RUN /opt/venv/bin/pip install --require-hashes --only-binary :all: -r requirements/runtime.txt

FROM python:3.13-slim
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DJANGO_SETTINGS_MODULE=carbon.settings
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/canopy canopy
COPY --from=build /opt/venv /opt/venv
WORKDIR /opt/canopy
COPY manage.py LICENSE NOTICE ./
COPY accounts accounts
COPY allocation allocation
COPY graphql_api graphql_api
COPY carbon carbon
RUN mkdir -p /srv/static /srv/media && chown canopy /srv/media \
 && DATABASE_URL=postgres://nobody@localhost/none CANOPY_SECRET_KEY=build CANOPY_ALLOWED_HOSTS=localhost \
    CANOPY_STATIC_DIR=/srv/static CELERY_BROKER_URL=memory:// python manage.py collectstatic --no-input
USER canopy
EXPOSE 8000
CMD ["python", "-m", "uvicorn", "carbon.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--lifespan=off"]
