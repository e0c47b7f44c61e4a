#!/bin/sh
# In Lambda there is a runtime API to talk to; anywhere else the emulator is one.
if [ $# -ne 1 ]; then
  echo "usage: lambda-entrypoint.sh HANDLER" >&2
  exit 142
fi
export _HANDLER="$1"
if [ -n "$AWS_LAMBDA_RUNTIME_API" ]; then
  exec "$LAMBDA_RUNTIME_DIR/bootstrap"
fi
exec aws-lambda-rie "$LAMBDA_RUNTIME_DIR/bootstrap"
