# simulacra on a CPU: docker build -t simulacra . && docker run --rm -it -p 127.0.0.1:8666:8666 -v "$PWD:/work" simulacra studio --host 0.0.0.0
FROM python:3.13-slim
WORKDIR /opt/simulacra
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY simulacra ./simulacra
# of torch's equal versions, pip takes that for the CPU
RUN pip install --no-cache-dir -c constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu '.[all]'
WORKDIR /work
ENTRYPOINT ["simulacra"]
CMD ["--help"]
