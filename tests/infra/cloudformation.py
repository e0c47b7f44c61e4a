"""A small CloudFormation: decides a template's conditions and puts in what can be known before it is deployed."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

NO_VALUE = object()
_PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "translator",
    "AWS::URLSuffix": "amazonaws.com",
}
_VARIABLE = re.compile(r"\$\{([^!}]+)\}")


@dataclass(slots=True)
class Stack:
    """What CloudFormation would make of a template; a reference to a resource reads ``<Name>`` or ``<Name.Attribute>``.

    Raises:
        LookupError: Something refers to a resource or a parameter that is not there under these conditions.
    """

    template: Mapping[str, Any]
    parameters: Mapping[str, Any]
    resources: dict[str, dict[str, Any]] = field(init=False)
    outputs: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        defaults = {name: spec.get("Default") for name, spec in self.template["Parameters"].items()}
        self.parameters = {**defaults, **self.parameters}
        here = {name: body for name, body in self.template["Resources"].items() if self._is_there(body)}
        self.resources = {name: {} for name in here}
        self.resources = {name: self.resolve(body) for name, body in here.items()}
        outputs = self.template.get("Outputs", {})
        self.outputs = {name: self.resolve(body["Value"]) for name, body in outputs.items() if self._is_there(body)}
        for name, body in self.resources.items():
            for other in _as_list(body.get("DependsOn", [])):
                if other not in self.resources:
                    message = f"{name} depends on {other}"
                    raise LookupError(message)

    def of_type(self, *types: str) -> dict[str, dict[str, Any]]:
        """Return the properties of the resources of these types by name."""
        return {name: body["Properties"] for name, body in self.resources.items() if body["Type"] in types}

    def broken_rules(self) -> list[str]:
        """Return the names of the rules that these parameters break."""
        return [name for name, rule in self.template.get("Rules", {}).items() if self._is_broken(rule)]

    def _is_broken(self, rule: Mapping[str, Any]) -> bool:
        applies = self._holds(rule.get("RuleCondition", {"Fn::Equals": ["", ""]}))
        return applies and not all(self._holds(assertion["Assert"]) for assertion in rule["Assertions"])

    def _is_there(self, body: Mapping[str, Any]) -> bool:
        return "Condition" not in body or self._holds({"Condition": body["Condition"]})

    def _holds(self, condition: Mapping[str, Any]) -> bool:
        [(function, value)] = condition.items()
        if function == "Condition":
            return self._holds(self.template["Conditions"][value])
        if function == "Fn::Equals":
            left, right = (str(self.resolve(side)) for side in value)
            return left == right
        parts = [self._holds(part) for part in value]
        return {"Fn::And": all(parts), "Fn::Or": any(parts), "Fn::Not": not parts[0]}[function]

    def resolve(self, value: Any) -> Any:
        """Return ``value`` with its functions carried out."""
        if isinstance(value, list):
            items = (self.resolve(item) for item in value)
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._call(function, argument)
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NO_VALUE}

    def _call(self, function: str, argument: Any) -> Any:
        if function == "Ref":
            return self._reference(argument)
        if function == "Fn::GetAtt":
            name, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
            return self._reference(f"{name}.{attribute}")
        if function == "Fn::If":
            condition, yes, no = argument
            return self.resolve(yes if self._holds({"Condition": condition}) else no)
        if function == "Fn::FindInMap":
            name, first, second = (self.resolve(part) for part in argument)
            return self.template["Mappings"][name][first][second]
        if function == "Fn::Sub":
            return self._substitute(argument)
        if function == "Fn::Base64":
            # In the clear: what is encoded is read by tests alone.
            return self.resolve(argument)
        message = f"{function} is not known here"
        raise NotImplementedError(message)

    def _substitute(self, argument: Any) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else argument
        values = {name: self.resolve(value) for name, value in own.items()}
        return _VARIABLE.sub(
            lambda match: str(values[match[1]] if match[1] in values else self._reference(match[1])), text
        )

    def _reference(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in _PSEUDO:
            return _PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        if name.split(".", 1)[0] not in self.resources:
            message = f"nothing here is called {name}"
            raise LookupError(message)
        return f"<{name}>"


def load_template(file: Path) -> dict[str, Any]:
    """Return a template with the short forms of functions, ``!Ref``, written out."""
    loader: Any = type("TemplateLoader", (yaml.SafeLoader,), {})
    loader.add_multi_constructor("!", _long_form)
    template: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), loader)  # noqa: S506 - a safe one's child
    return template


def _long_form(loader: Any, name: str, node: Any) -> dict[str, Any]:
    function = name if name in {"Ref", "Condition"} else f"Fn::{name}"
    if isinstance(node, yaml.ScalarNode):
        return {function: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {function: loader.construct_sequence(node, deep=True)}
    return {function: loader.construct_mapping(node, deep=True)}


def references(value: Any) -> Iterator[str]:
    """Yield the names that a part of a template refers to, unresolved."""
    for text in re.findall(r'\{"Ref": "([^"]+)"\}', json.dumps(value)):
        yield str(text)
    for text in _VARIABLE.findall(json.dumps(value)):
        yield str(text).split(".", 1)[0]


def _as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
