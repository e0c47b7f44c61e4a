"""Expand a SAM template to the CloudFormation that AWS would make of it; runs in SAM's environment.

Reads ``{"template": path, "parameters": [{...}, ...]}`` from standard input and writes a JSON list, one template for
each set of parameters: the transform sees their values, too.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

REGION = "us-east-1"


def expand(text: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the template that CloudFormation gets for these values of its parameters."""
    template = yaml_parse(text)
    defaults = {name: spec["Default"] for name, spec in template["Parameters"].items() if "Default" in spec}
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # As `sam deploy` fills it in.
            resource["Properties"]["ImageUri"] = "123456789012.dkr.ecr.us-east-1.amazonaws.com/server@sha256:0"
    translator = Translator(managed_policy_map={}, sam_parser=Parser())
    expanded: dict[str, Any] = translator.translate(template, {"AWS::Region": REGION, **defaults, **parameters})
    return expanded


if __name__ == "__main__":
    os.environ["AWS_DEFAULT_REGION"] = REGION
    job = json.load(sys.stdin)
    source = Path(job["template"]).read_text(encoding="utf-8")
    json.dump([expand(source, parameters) for parameters in job["parameters"]], sys.stdout)
