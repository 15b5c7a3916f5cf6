"""The OpenAPI document of the REST API, made from the table of commands; `GET /openapi.json`.

It describes what the vendor describes: POST, a JSON body, HTTP 200 for whatever happens. That the door takes more
than that (GET, old content types, numbers in quotes) stands in `docs/wire.md`.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from aiohttp import web

from mock_im_server import VERSION
from mock_im_server.transport.rest.command import Answer, Command
from mock_im_server.transport.rest.commands import COMMANDS
from mock_im_server.wire import codes

PATH: Final = "/openapi.json"

_REFUSAL: Final = "refusal"

type_schema = dict[str, Any]


def routes() -> list[web.RouteDef]:
    body = msgspec.json.encode(document())

    async def serve(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    return [web.get(PATH, serve)]


def document() -> type_schema:
    commands = COMMANDS.values()
    bodies, body_schemas = _components("body", {command.body for command in commands})
    answers, answer_schemas = _components("answer", {command.answer for command in commands})
    for schema in answer_schemas.values():
        if schema.get("type") == "object":
            schema["additionalProperties"] = False
        _narrow(schema)
    answer_schemas[_REFUSAL] = answer_schemas[_name_of(answers[Answer])] | {
        "title": "Refusal",
        "description": "What every command answers that is not carried out.",
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tencent Cloud IM REST API, as the mock server imitates it",
            "version": VERSION,
            "description": "HTTP status 200 always; the outcome is in ErrorCode.",
        },
        "paths": {f"/v4/{command.name}": {"post": _operation(command, bodies, answers)} for command in commands},
        "components": {"schemas": body_schemas | answer_schemas},
    }


def _operation(
    command: Command, bodies: dict[type[msgspec.Struct], type_schema], answers: dict[type[msgspec.Struct], type_schema]
) -> type_schema:
    service, _, name = command.name.partition("/")
    answer = {"anyOf": [answers[command.answer], _ref(_REFUSAL)]}
    return {
        "operationId": f"{service}.{name}",
        "tags": [service],
        "summary": (command.carry_out.__doc__ or "").strip(),
        "parameters": _PARAMETERS,
        "requestBody": {"required": False, "content": {"application/json": {"schema": bodies[command.body]}}},
        "responses": {
            "200": {
                "description": "Carried out or refused: see ErrorCode.",
                "content": {"application/json": {"schema": answer}},
            }
        },
    }


def _components(
    kind: str, types: Iterable[type[msgspec.Struct]]
) -> tuple[dict[type[msgspec.Struct], type_schema], dict[str, type_schema]]:
    """A schema for each type, and the components that they refer to, under names that begin with `kind`."""
    ordered = sorted(types, key=lambda found: (found.__module__, found.__qualname__))
    schemas, found = msgspec.json.schema_components(ordered, ref_template=f"#/components/schemas/{kind}.{{name}}")
    return dict(zip(ordered, schemas, strict=True)), {f"{kind}.{name}": schema for name, schema in found.items()}


def _narrow(schema: type_schema) -> None:
    """An answer says OK or FAIL, and no code but those that this server knows."""
    fields = schema.get("properties", {})
    if "ActionStatus" in fields:
        fields["ActionStatus"] = {"enum": ["OK", "FAIL"]}
        schema["required"] = sorted({*schema.get("required", []), "ActionStatus", "ErrorCode", "ErrorInfo"})
    for name in ("ErrorCode", "ResultCode"):
        if name in fields:
            fields[name] = {"enum": sorted(codes.TEXTS)}


def _name_of(ref: type_schema) -> str:
    return str(ref["$ref"]).rpartition("/")[2]


def _ref(name: str) -> type_schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _parameter(name: str, schema: type_schema, description: str, *, is_required: bool = True) -> type_schema:
    return {"name": name, "in": "query", "required": is_required, "schema": schema, "description": description}


_PARAMETERS: Final = [
    _parameter("sdkappid", {"type": "integer", "minimum": 1}, "The app."),
    _parameter("identifier", {"type": "string"}, "The app's admin."),
    _parameter("usersig", {"type": "string"}, "A UserSig of the admin's."),
    _parameter(
        "random",
        {"type": "integer", "minimum": 0, "maximum": (1 << 32) - 1},
        "A number that the vendor asks for and that changes nothing.",
        is_required=False,
    ),
    _parameter("contenttype", {"enum": ["json"]}, "Always `json`.", is_required=False),
]
