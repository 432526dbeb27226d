"""The guide for rented machines as `make vps-test` carries it out: which steps it has, and what replaces the words in capitals."""

from __future__ import annotations

from pathlib import Path

import yaml

from benchmarks.vps.guide import Step, replaced, steps_of

PAGE = Path(__file__).resolve().parents[3] / "docs/guides/vps.md"
EXAMPLE = """\
## 1. Look
Not `ls`:

```sh
ls a
ls b
```

The exit code is 2.

```text
not a command
```

## 2. Write
Make a file `c.yaml`:

```yaml
- {x: ADDRESS1, user: USER}
- {x: ADDRESS2, user: USER}
```

```sh
for a in ADDRESS1 ADDRESS2; do ssh USER@$a true; done
```
"""


def test_steps_are_commands_and_files_with_the_exit_codes_that_the_text_states() -> None:
    assert steps_of(EXAMPLE) == [
        Step("1. Look", "ls a"),
        Step("1. Look", "ls b", 2),
        Step("2. Write", "- {x: ADDRESS1, user: USER}\n- {x: ADDRESS2, user: USER}\n", file="c.yaml"),
        Step("2. Write", "for a in ADDRESS1 ADDRESS2; do ssh USER@$a true; done"),
    ]


def test_only_machines_that_the_reader_has_are_named() -> None:
    *_, made, loop = (replaced(step.text, ["10.0.0.1"], "ada", "/r") for step in steps_of(EXAMPLE))
    assert made == "- {x: 10.0.0.1, user: ada}"
    assert loop == "for a in 10.0.0.1; do ssh ada@$a true; done"


def test_the_guide_has_a_command_for_each_thing_that_it_promises() -> None:
    steps = steps_of(PAGE.read_text(encoding="utf-8"))
    text = "\n".join(replaced(step.text, [f"10.0.0.{i}" for i in range(1, 6)], "ada", "/r") for step in steps)
    for part in (
        "make setup",
        "tri doctor",
        "deploy up",
        "deploy upgrade",
        "--attach",
        "systems/etcd",
        "tri heal",
        "deploy down",
    ):
        assert part in text, part
    assert "ADDRESS" not in text and "USER" not in text and "<" not in text
    (inventory,) = (yaml.safe_load(replaced(step.text, ["h1", "h2", "h3"], "ada", "")) for step in steps if step.file)
    assert [host["address"] for host in inventory["hosts"]] == ["h1", "h2", "h3"]
    assert [step.exit_code for step in steps if "campaigns/flaws/" in step.text] == [1]
