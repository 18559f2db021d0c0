# One image serves and retrains. Build: docker build -t tmax-tomorrow . (with --build-arg LIST=dask it is also a worker of
# a Dask cluster)

# The full image has a C compiler.
FROM python:3.13 AS build
ARG LIST=train
WORKDIR /opt/tmax
COPY requirements/$LIST.txt Makefile ./
RUN python -m venv .venv \
 && .venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r $LIST.txt
COPY models models
RUN make models/nn/steps.sha256

FROM python:3.13-slim
# The environment keeps its path, which its scripts contain.
WORKDIR /opt/tmax
COPY --from=build /opt/tmax/.venv .venv
COPY gunicorn.conf.py ./
COPY models models
COPY --from=build /opt/tmax/models/nn/steps.so /opt/tmax/models/nn/steps.sha256 models/nn/
COPY app app
COPY scripts scripts
COPY data data
# The store is a volume owned by the serving user. Nothing else is written: the root filesystem may be read-only.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tmax \
 && install -d -o tmax -g tmax /store
USER 10001
ENV PATH=/opt/tmax/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TMAX_STORE=/store
VOLUME /store
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
CMD ["gunicorn", "app.web:create_app()", "--bind", "0.0.0.0:8000"]
