"""Show a template as `sam build` and `sam local` see it; runs in SAM's environment.

Reads ``{"template": path, "parameters": {...}}`` from standard input; writes the routes that `sam local start-api`
would serve, and the function's environment and build arguments.
"""

import json
import sys
from pathlib import Path

from samcli.lib.providers.api_provider import ApiProvider
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider

if __name__ == "__main__":
    job = json.load(sys.stdin)
    stacks, _ = SamLocalStackProvider.get_stacks(job["template"], parameter_overrides=job["parameters"])
    routes = ApiProvider(stacks, cwd=str(Path(job["template"]).parent)).routes
    [function] = SamFunctionProvider(stacks).get_all()
    json.dump(
        {
            "routes": sorted([route.path, route.function_name, route.event_type] for route in routes),
            "methods": sorted({method for route in routes for method in route.methods}),
            "variables": function.environment["Variables"],
            "build_arguments": function.metadata["DockerBuildArgs"],
            "logging": function.logging_config,
        },
        sys.stdout,
    )
