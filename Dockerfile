# One image serves and retrains. Build: docker build -t tmax-tomorrow . (with --build-arg EXTRA=dask or ray: also as a
# worker of such a cluster)

# The whole image, because it has a C compiler.
FROM python:3.13 AS build
ARG EXTRA=train
WORKDIR /opt/tmax
COPY requirements-$EXTRA.txt Makefile ./
RUN python -m venv .venv \
 && .venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-$EXTRA.txt
COPY models models
RUN make models/nn/steps.so

FROM python:3.13-slim
# The environment keeps its path: its scripts name it.
WORKDIR /opt/tmax
COPY --from=build /opt/tmax/.venv .venv
COPY gunicorn.conf.py ./
COPY models models
COPY --from=build /opt/tmax/models/nn/steps.so models/nn/
COPY app app
COPY scripts scripts
COPY data data
# The store is a volume of the user who serves; nothing else is ever written, so the root filesystem may be read-only.
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
