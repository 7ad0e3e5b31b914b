"""Which part of T5 an operation of a compiled step belongs to, from the names that JAX gives operations.

jit(_accumulate)/transpose(jvp(T5.encode))/encoder.encode/layers_3.encode/attention/bhqd,bhkd->bhqk/dot_general
is "encoder attention products backward"
"""

import re

UNKNOWN = "unknown"
UPDATE = "prompts' update"
# The first that is found in the name.
PARTS = (
    ("relpos_bias", "position bias"),
    (r"attention\S*/(query|key|value|out)/", "attention projections"),
    (r"attention/.*dot_general", "attention products"),
    (r"attention/", "attention softmax"),
    (r"mlp/.*dot_general", "mlp products"),
    (r"mlp/", "mlp activation"),
    (r"norm/", "norms"),
    ("logits_dense", "vocabulary logits"),
    ("token_embedder", "embedding"),
    (r"layers_\d+", "residuals"),
)
COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) .*{$")
INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = ")
OPERATION = re.compile(r'op_name="(jit\([^"]*)"')
CALLED = re.compile(r"calls=%?([\w.\-]+)")


def operations(hlo: str) -> dict[str, str]:
    """{instruction: the name of its operation} of a compiled program's text, under the kernels' spelling too (a.1 is a_1).

    A fusion without a name has that of the last operation in it that has one.
    """
    found, last, computation = {}, {}, ""
    for line in hlo.splitlines():
        if heading := COMPUTATION.match(line):
            computation = heading[1]
        elif instruction := INSTRUCTION.match(line):
            own, called = OPERATION.search(line), CALLED.search(line)
            operation = own[1] if own else called and last.get(called[1])
            if operation:
                found[instruction[1]] = last[computation] = operation
    return {spelled(name): operation for name, operation in found.items()} | found


def spelled(instruction: str) -> str:
    """An instruction's name as that of a kernel."""
    return re.sub(r"[.\-]", "_", instruction)


def part_of(operation: str | None) -> str:
    """The stack, the part and the direction: one of a few dozen."""
    if operation is None:
        return UNKNOWN
    stack = "encoder " if "T5.encode" in operation else "decoder " if "T5.decode" in operation else ""
    part = next(
        (part for pattern, part in PARTS if re.search(pattern, operation)), "masks and rest" if stack else "loss and rest"
    )
    return f"{stack}{part} {'backward' if 'transpose(' in operation else 'forward'}"
