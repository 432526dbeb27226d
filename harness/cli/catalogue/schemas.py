"""JSON Schemas of files and documents for users. They are made from the declarations by which the code reads or writes these.

    schema("campaign")     # for an editor, or for a script that reads what `tri` prints

Campaigns and inventories have pydantic models; the others have declared types. A schema checks only the form. Only the code checks, for example,
whether a node exists, and whether a host can inject a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLES: Mapping[str, str] = {
    "campaign": "A campaign: the YAML file that `tri run` reads",
    "inventory": "An inventory: the YAML file that lists machines with SSH",
    "history": "One line of history.jsonl",
    "ledger": "One line of ledger.jsonl, after the first",
    "run": "run.json: the facts of a run, and its seal",
    "plan": "plan.json: the planned operations and faults of a run",
    "client-request": "A line that a client program reads",
    "client-answer": "A line that a client program writes",
    "verdict": "verdict.json, and what `tri run --json` and `tri check --json` print",
    "shrink": "shrink.json: how a run was made smaller",
    "search": "What `tri search --json` prints",
    "runs": "What `tri list runs --json` prints",
    "list": "What `tri list --json` prints, except for runs",
    "show": "What `tri show --json` prints for a fault, workload, checker or flaw",
    "compare": "What `tri compare --json` prints",
    "explain": "What `tri explain --json` prints",
    "replay": "What `tri replay --json` prints: of a simulated run, of recorded inputs, of a search in the simulator, of runs on hosts",
    "repeat": "What `tri run --repeat N --json` prints",
    "shrunk-history": "What `tri shrink HISTORY --json` prints",
    "doctor": "What `tri doctor --json` prints",
    "heal": "What `tri heal --json` prints",
    "hosts-up": "What `tri hosts up --json` prints",
    "hosts-list": "What `tri hosts list --json` prints",
    "deploy": "What `tri deploy --json` prints: the results, the status, or with --dry-run a plan",
    "try": "What `tri try --json` prints",
    "nodes": "What `tri nodes --json` prints",
    "cluster-bench": "What `tri cluster-bench --json` prints",
}
"""Name of each schema → what it describes."""


def schema(name: str) -> dict[str, Any]:
    """Return the schema of this name. Raises `KeyError` for a name that is not in `TITLES`."""
    made = _MADE[name]() if name in _MADE else _printed(name)
    return {"$schema": DIALECT, "title": TITLES[name], **made}


def _campaign() -> dict[str, Any]:
    from ...campaign.model import Campaign
    from ...nemesis.specs.specs import SPECS
    from ...workloads import WORKLOADS

    workloads = {name: spec for name, (spec, _) in WORKLOADS.items()}
    found, defs = _of_models(Campaign, *SPECS.values(), *workloads.values())
    whole = defs.pop(found[Campaign])
    whole["properties"]["faults"]["items"] = _one_of_keys({name: found[spec] for name, spec in SPECS.items()})
    whole["properties"]["workloads"]["items"] = _one_of_keys(
        {name: found[spec] for name, spec in workloads.items()}, others=True
    )
    # Without the parts of the union of faults: editors complete one object with a key for each fault better.
    return {**whole, "$defs": {name: part for name, part in defs.items() if not name.endswith("Item")}}


def _one_of_keys(definitions: Mapping[str, str], *, others: bool = False) -> dict[str, Any]:
    """Return the schema of an item with one of these keys; the values of `definitions` name their definitions. `others`: plugins may add keys."""
    keys = {key: {"anyOf": [{"$ref": f"#/$defs/{name}"}, {"type": "null"}]} for key, name in definitions.items()}
    return {
        "type": "object",
        "properties": keys,
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": others,
    }


def _of_models(*models: Any) -> tuple[dict[Any, str], dict[str, Any]]:
    """Return the name of each model's definition, and all definitions. Fields have all their names, and defaults as a user writes them."""
    from pydantic.json_schema import models_json_schema

    several = list(dict.fromkeys(models))
    references, made = models_json_schema([(model, "validation") for model in several], by_alias=True)
    names = {model: references[model, "validation"]["$ref"].rpartition("/")[2] for model in several}
    for model, name in names.items():
        _complete(made["$defs"][name], model)
    return names, made["$defs"]


def _complete(made: dict[str, Any], model: Any) -> None:
    """Add what pydantic omits: the other names of a field, and its default as a user writes it."""
    from pydantic import AliasChoices

    from .fields import rows

    usual = {row.name: row.default for row in rows(model)}
    for name, field in model.model_fields.items():
        choices = field.validation_alias
        names = [str(one) for one in choices.choices] if isinstance(choices, AliasChoices) else []
        part = next(made["properties"][one] for one in [*names, field.alias or name, name] if one in made["properties"])
        part.pop("default", None)
        default = usual[field.serialization_alias or field.alias or name]
        if isinstance(default, str | int | float | bool):
            part["default"] = default
        for other in names:
            if not other.endswith("_ns"):
                made["properties"].setdefault(other, part)


def _inventory() -> dict[str, Any]:
    from ...hosts.ssh.inventory import Inventory

    found, defs = _of_models(Inventory)
    return {**defs.pop(found[Inventory]), "$defs": defs}


def _of_type(kind: Any) -> dict[str, Any]:
    """Return the schema of a declared type, such as a `TypedDict` or a dataclass."""
    import msgspec

    return msgspec.json.schema(kind)


def _printed(name: str) -> dict[str, Any]:
    """Return the schema of what a command prints: any of its documents in `DOCUMENTS`."""
    import msgspec

    from .documents import DOCUMENTS

    forms, definitions = msgspec.json.schema_components(DOCUMENTS[name], ref_template="#/$defs/{name}")
    return {**(forms[0] if len(forms) == 1 else {"anyOf": list(forms)}), "$defs": definitions}


def _history() -> dict[str, Any]:
    from tribulation.histories import Event

    made = _of_type(Event)["$defs"]
    event = made.pop("Event")
    fields = event["properties"]
    fields = {"time" if name == "time_ns" else name: part for name, part in fields.items() if name != "extra"}
    optional = [name for name, part in fields.items() if "default" in part]
    return {
        "type": "object",
        "description": "Times are in ns since the run began. Fields that are not named here are kept unchanged.",
        "properties": fields,
        "required": [name for name in fields if name not in optional],
        "$defs": made,
    }


def _ledger() -> dict[str, Any]:
    from ...nemesis.faults.ledger import LedgerLine

    return _of_type(LedgerLine)


def _run() -> dict[str, Any]:
    from ...run.outcome.run_folder import RunFacts

    return _of_type(RunFacts)


def _plan() -> dict[str, Any]:
    from ...run.plan.shape import PlanShape

    return _of_type(PlanShape)


def _client_request() -> dict[str, Any]:
    from ...systems.adapter.program_messages import Request

    return _of_type(Request)


def _client_answer() -> dict[str, Any]:
    from ...systems.adapter.program_messages import Answer

    return _of_type(Answer)


def _verdict() -> dict[str, Any]:
    from ...report.shape import VerdictShape

    return _of_type(VerdictShape)


def _shrink() -> dict[str, Any]:
    from ...report.shape import ShrinkShape

    return _of_type(ShrinkShape)


def _search() -> dict[str, Any]:
    from ...search.document import SearchDocument

    return _of_type(SearchDocument)


def _runs() -> dict[str, Any]:
    from .listing import RunRow

    return _of_type(list[RunRow])


def _list() -> dict[str, Any]:
    from .listing import NamedRow

    return _of_type(list[NamedRow])


def _show() -> dict[str, Any]:
    from .entries import ShownEntry

    return _of_type(ShownEntry)


_MADE: Mapping[str, Callable[[], dict[str, Any]]] = {
    "campaign": _campaign,
    "inventory": _inventory,
    "history": _history,
    "ledger": _ledger,
    "run": _run,
    "plan": _plan,
    "client-request": _client_request,
    "client-answer": _client_answer,
    "verdict": _verdict,
    "shrink": _shrink,
    "search": _search,
    "runs": _runs,
    "list": _list,
    "show": _show,
}
