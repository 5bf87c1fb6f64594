# The Lambda container image of kv-store: docker build -t kv-store .

FROM public.ecr.aws/lambda/python:3.13 AS build
COPY handler/requirements.txt /build/requirements.txt
# Wheels only, so that nothing here needs a compiler. bin/ holds command-line tools of the packages.
RUN pip install --require-hashes --no-deps --only-binary :all: --no-cache-dir --no-compile \
      --disable-pip-version-check --target "${LAMBDA_TASK_ROOT}" -r /build/requirements.txt \
 && rm -rf "${LAMBDA_TASK_ROOT}/bin"
COPY handler ${LAMBDA_TASK_ROOT}/handler
# /var/task is read-only in Lambda: what is not compiled here is compiled again at every cold start.
# Bytecode named after the source's hash, not its time, comes out the same in every build, and
# "unchecked" spares the start the look at the source. The modes do not depend on the builder's umask.
RUN rm "${LAMBDA_TASK_ROOT}/handler/requirements.txt" \
 && python3 -m compileall -q --invalidation-mode unchecked-hash "${LAMBDA_TASK_ROOT}" \
 && chmod -R u=rwX,go=rX "${LAMBDA_TASK_ROOT}"

FROM public.ecr.aws/lambda/python:3.13
COPY --from=build ${LAMBDA_TASK_ROOT} ${LAMBDA_TASK_ROOT}
CMD ["handler.app.lambda_handler"]
