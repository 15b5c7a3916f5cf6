# The mock server, and the harness, in one image: `docker build -t im-load .`
FROM python:3.12-slim

WORKDIR /im-load
COPY requirements/run.txt requirements/run.txt
RUN pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && useradd --create-home im && mkdir -p /data runs && chown im /data runs
USER im
VOLUME ["/data"]
EXPOSE 18080
HEALTHCHECK --interval=5s --timeout=3s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:18080/readyz', timeout=2)"]
ENTRYPOINT ["python", "-m", "mock_im_server", "--host", "0.0.0.0"]
CMD ["--data-dir", "/data"]
