"""Plan -> one C99 file, and a header that declares what it offers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sfopt.constant_blocks import parameter_block, quant_of, weight_block
from sfopt.cost import Constant
from sfopt.device import Device
from sfopt.errors import InternalError
from sfopt.groups import Group, Kind, Network
from sfopt.plan import Plan, Role
from sfopt.rows import RowSchedule
from sfopt.stage import Member, Stage
from sfopt_c.descriptors import block_fields, layer_fields, multiplies, parts_of, stream_fields
from sfopt_c.kernels import kernel_text, needed_by
from sfopt_c.limits import require_supported
from sfopt_c.statements import Names, statements
from sfopt_c.text import comment, indented, initialiser, number_list, real, string

__all__ = ["Source", "emit"]

_COUNTERS = """\
#ifdef MODEL_COUNT /* DRAM bytes of each map and block of constants: read, written */
uint64_t model_counts[MODEL_BLOCKS][2];
#define COUNT_READ(i, n) (model_counts[i][0] += (uint64_t)(n))
#define COUNT_WRITE(i, n) (model_counts[i][1] += (uint64_t)(n))
#else
#define COUNT_READ(i, n) ((void)0)
#define COUNT_WRITE(i, n) ((void)0)
#endif
"""


@dataclass(frozen=True)
class Source:
    """The file and its header. `names` are those of the numbered counters, feature maps first, as many as `maps`."""

    code: str
    header: str
    names: tuple[str, ...]
    maps: int


def emit(plan: Plan, network: Network, device: Device) -> Source:
    """The C of `plan`. Raises UsageError naming the group or the size that this backend cannot do."""
    require_supported(plan, network)
    return _Writer(plan, network, device).source()


class _Writer:
    """Descriptors are made as the statements ask for them, so that nothing is declared that is not used."""

    def __init__(self, plan: Plan, network: Network, device: Device) -> None:
        self.plan, self.network = plan, network
        self.stages = Stage.of(plan, network, device)
        self.dram = {d.tensor: d.offset for d in plan.dram}
        self.names = (*network.maps, *(b.name for s in self.stages for m in s.members for b in m.blocks))
        self.number = {name: i for i, name in enumerate(self.names)}
        self.arrays: list[str] = []
        self.declared: dict[tuple[object, ...], str] = {}
        self.descriptors: list[str] = []
        self.kernels: set[str] = {"layer"}
        self.taps = self.window = self.sums = 1

    def source(self) -> Source:
        """Everything."""
        functions = [self._segment(stage) for stage in self.stages]
        calls = indented(f"segment_{stage.step}();" for stage in self.stages)
        fill = ["#ifdef MODEL_FILL", "    memset(arena, MODEL_FILL, sizeof arena);", "#endif"]
        parts = [
            self._opening(),
            self._interface(),
            self._memory(),
            _COUNTERS,
            *self._limits(),
            kernel_text(self.kernels),
            *self.arrays,
            "\n".join(self.descriptors) + "\n",
            *functions,
            "\n".join(self._tables()),
            "\n".join(["void model_run(void)", "{", *fill, *calls, "}", ""]),
        ]
        guarded = ["#ifndef MODEL_H", "#define MODEL_H", "", self._interface(), "#endif", ""]
        return Source("\n".join(parts), "\n".join(guarded), self.names, len(self.network.maps))

    def _opening(self) -> str:
        dram = max((d.offset + d.size_bytes for d in self.plan.dram), default=1)
        constants = sum(b.size_bytes for s in self.stages for m in s.members for b in m.blocks)
        return (
            f"/* Network {comment(self.network.graph.name)}, written by sfopt: C99, no heap, no floating-point arithmetic.\n"
            " *\n"
            f" * Static memory: the arena of {self.plan.peak_bytes} bytes, as planned, and {dram} bytes that stand for DRAM\n"
            f" * (inputs, outputs and what the plan spills), beside {constants} bytes of constants. How to use it: model.h. */\n"
        )

    def _interface(self) -> str:
        """What model.h declares; the file itself has it too, so that it needs no other."""
        hosts = [s for s in self.stages if s.on_host]
        inputs, outputs = self.network.inputs, self.network.outputs
        lines = [
            "#include <stdint.h>",
            "",
            f"#define MODEL_ARENA_BYTES {self.plan.peak_bytes}",
            f"#define MODEL_INPUTS {len(inputs)}",
            f"#define MODEL_OUTPUTS {len(outputs)}",
            f"#define MODEL_BLOCKS {len(self.names)}",
            *([f"#define MODEL_HOST_GROUPS {len(hosts)}"] if hosts else []),
            "",
            "/* A dense int8 feature map, height x width x channels; the real value is scale * (data - zero_point). */",
            "typedef struct {",
            *indented(("const char *name;", "int8_t *data;", "int32_t height, width, channels;")),
            *indented(("float scale;", "int32_t zero_point;")),
            "} model_tensor;",
            "",
            "/* Write the inputs, call model_run, read the outputs. A run may overwrite the inputs. */",
            f"extern const model_tensor model_inputs[{max(1, len(inputs))}];",
            f"extern const model_tensor model_outputs[{max(1, len(outputs))}];",
            "void model_run(void);",
            *(_HOST_INTERFACE if hosts else []),
            "",
            "#ifdef MODEL_COUNT",
            "extern uint64_t model_counts[MODEL_BLOCKS][2];",
            "#endif",
            "",
        ]
        return "\n".join(lines)

    def _memory(self) -> str:
        dram = max((d.offset + d.size_bytes for d in self.plan.dram), default=1)
        lines = [
            "#include <string.h>",
            "",
            "static int8_t arena[MODEL_ARENA_BYTES];",
            f"static int8_t dram[{dram}];",
            "",
            "/* Where things lie in the arena, and that they do. */",
            "#define INSIDE(i, first, size) typedef char buffer_##i[(first) + (size) <= (int)sizeof arena ? 1 : -1]",
        ]
        for i, b in enumerate(self.plan.buffers):
            life = f"{b.role.value} {comment(b.name)}, steps {b.first_step} to {b.last_step}"
            lines.append(f"INSIDE({i}, {b.offset}, {b.size_bytes}); /* {life} */")
        return "\n".join([*lines, ""])

    def _limits(self) -> Iterator[str]:
        """Sizes that the kernels' own variables have."""
        scaled = "window" in self.kernels
        yield f"#define TAPS {self.taps}"
        yield f"#define SUMS {self.sums}"
        yield f"#define WINDOW {self.window}"
        action = "do { if ((l)->scale) scale_taps(l); } while (0)" if scaled else "((void)0)"
        yield f"#define SCALE_TAPS(l) {action}\n"

    def _segment(self, stage: Stage) -> str:
        if stage.on_host:
            lines = self._host(stage)
        else:
            following = self.stages[stage.step + 1] if stage.step + 1 < len(self.stages) else None
            lines = statements(stage, following, Names(self._load, self._store, self._block, self._layers))
        text = "\n".join(lines)
        indices = [i for i in ("band", "tile") if f"for ({i} " in text]
        variables = [f"int32_t {', '.join(indices)};"] if indices else []
        groups = ", ".join(comment(g.name) for g in stage.groups)
        head = f"/* Groups {stage.segment.first} to {stage.segment.last}: {groups} */"
        body = indented([*variables, *lines])
        return "\n".join([head, f"static void segment_{stage.step}(void)", "{", *body, "}", ""])

    def _host(self, stage: Stage) -> list[str]:
        (group,) = stage.groups
        index = sum(s.on_host for s in self.stages[: stage.step])
        return [
            *(f"COUNT_READ({self.number[t]}, {self.network.maps[t].size_bytes});" for t in group.reads),
            *(f"COUNT_WRITE({self.number[t]}, {self.network.maps[t].size_bytes});" for t in group.writes),
            f"model_host({index});",
        ]

    def _load(self, stage: Stage, tensor: str) -> str:
        self.kernels.add("load")
        rows = next((stage.arrival(f) for f in stage.segment.feeds if f.tensor == tensor), self._whole(tensor))
        return self._stream(stage, tensor, rows, "load")

    def _store(self, stage: Stage, group: Group) -> str:
        self.kernels.add("store")
        rows = self._whole(group.output) if group.kind is Kind.GLOBAL_MEAN else stage.rows(group)
        return self._stream(stage, group.output, rows, "store")

    def _whole(self, tensor: str) -> RowSchedule:
        height = self.network.maps[tensor].height
        return RowSchedule(height, 0, height)

    def _stream(self, stage: Stage, tensor: str, rows: RowSchedule, verb: str) -> str:
        fields = stream_fields(stage, tensor, rows, self.dram[tensor], self.number[tensor])
        return self._declared("stream", (verb, stage.step, tensor), initialiser(fields), tensor)

    def _block(self, member: Member, block: Constant) -> str:
        self.kernels.add("blocks")
        if ("block", block.name) not in self.declared:
            self.arrays.append(self._constants(member, block))
        fields = block_fields(member, block, f"constants_{self.number[block.name]}", self.number[block.name])
        return self._declared("block", (block.name,), initialiser(fields), block.name)

    def _constants(self, member: Member, block: Constant) -> str:
        weights = block.name.endswith(f".{Role.WEIGHTS.value}")
        data = (weight_block if weights else parameter_block)(self.network, member.group)
        if len(data) != block.size_bytes:
            raise InternalError(f"`{block.name}` has {len(data)} bytes, the plan counts {block.size_bytes}")
        name = f"constants_{self.number[block.name]}"
        return f"/* {comment(block.name)} */\nstatic const int8_t {name}[{len(data)}] = {{\n{number_list(data)}\n}};\n"

    def _layers(self, member: Member) -> Sequence[str]:
        group = member.group
        self.kernels |= needed_by(group, multiplies=multiplies(member))
        x, parts = self.network.maps[group.pieces[0].tensor], parts_of(member)
        window = group.window.kernel[0] * group.window.kernel[1]
        positions = max(window if part.phase is None else part.phase.positions for part in parts)
        self.taps = max(self.taps, positions)
        if group.scale is not None:
            self.window = max(self.window, positions * x.channels)
        if group.kind is Kind.GLOBAL_MEAN:
            self.sums = max(self.sums, x.channels)
        number = self.number[group.output]
        return [
            self._declared("layer", (group.output, i), initialiser(layer_fields(member, part, number)), group.output)
            for i, part in enumerate(parts)
        ]

    def _declared(self, kind: str, key: tuple[object, ...], value: str, what: str) -> str:
        """The name of a descriptor, declared when it is asked for the first time."""
        key = (kind, *key)
        if key not in self.declared:
            self.declared[key] = f"{kind}_{sum(k[0] == kind for k in self.declared)}"
            self.descriptors += [f"/* {comment(what)} */", f"static const {kind} {self.declared[key]} = {value};"]
        return self.declared[key]

    def _tables(self) -> Iterator[str]:
        """The tensors of the interface."""
        yield self._tensors("model_inputs", self.network.inputs)
        yield self._tensors("model_outputs", self.network.outputs)
        hosts = [s.groups[0] for s in self.stages if s.on_host]
        entries = []
        for i, group in enumerate(hosts):
            for verb, tensors in (("reads", group.reads), ("writes", group.writes)):
                yield self._tensors(f"host_{verb}_{i}", tensors, "static const")
            sizes = f"{len(group.reads)}, host_reads_{i}, {len(group.writes)}, host_writes_{i}"
            entries.append(f"    {{{string(group.name)}, {sizes}}}")
        if entries:
            lines = ["const model_host_group model_host_groups[MODEL_HOST_GROUPS] = {", ",\n".join(entries), "};", ""]
            yield "\n".join(lines)

    def _tensors(self, name: str, tensors: Sequence[str], storage: str = "const") -> str:
        rows = [f"    {{{self._tensor(t)}}}" for t in tensors] or ["    {0}"]
        return "\n".join([f"{storage} model_tensor {name}[{len(rows)}] = {{", ",\n".join(rows), "};", ""])

    def _tensor(self, tensor: str) -> str:
        fmap, quant = self.network.maps[tensor], quant_of(self.network.graph, tensor)
        shape = f"{fmap.height}, {fmap.width}, {fmap.channels}"
        meaning = f"{real(float(quant.scale))}, {int(quant.zero_point)}"
        return f"{string(tensor)}, dram + {self.dram[tensor]}, {shape}, {meaning}"


_HOST_INTERFACE: Sequence[str] = (
    "",
    "/* Groups in the middle that run outside of this file. model_run calls model_host, which is yours: it computes what group",
    " * number `group` writes from what it reads. */",
    "typedef struct {",
    "    const char *name;",
    "    int32_t read_count;",
    "    const model_tensor *reads;",
    "    int32_t write_count;",
    "    const model_tensor *writes;",
    "} model_host_group;",
    "",
    "extern const model_host_group model_host_groups[MODEL_HOST_GROUPS];",
    "void model_host(int32_t group);",
)
