from typing import Any

common_spec: Any
transformer_spec: Any
