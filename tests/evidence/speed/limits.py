"""How close each piece of work comes to what the machine can do: its operations and bytes beside its seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kbsync.domain.rewrite import Rewrite
from kbsync.editing.common.sampling import opening_ids
from kbsync.editing.covariance.corpus import corpus
from kbsync.editing.covariance.second_moments import Snapshots, measure
from kbsync.editing.memit.layerwise_forward import LayerwiseForward
from kbsync.editing.memit.memit import LAYERS
from kbsync.editing.memit.target_cache import TARGETS
from kbsync.model.hooks import frozen
from kbsync.operations.evidence import Figure
from kbsync.operations.flop_counter import FlopCounter, machine_speed
from kbsync.operations.meter import MachineSpeed, Meter
from kbsync.operations.profile import Profile
from tests.evidence.speed.facts import facts
from tests.evidence.speed.laps import lap
from tests.evidence.speed.reading import ANSWER_TOKENS, sampled
from tests.evidence.speed.size import SuiteSize
from tests.evidence.speed.workshop import Scratch, Workshop


def limits(shop: Workshop, size: SuiteSize) -> list[Figure]:
    """Run each piece of work twice: once timed, once counted, because counting takes time."""
    machine = machine_speed()
    found = [
        Figure("limits.machine_gflops", machine.flops / 1e9, "GFLOP/s, float32 products"),
        Figure("limits.machine_gb", machine.bytes / 1e9, "GB/s, copying"),
    ]
    edit = _edit(shop, size)
    for name, spent in {
        **edit,
        "covariance": _covariance(shop, size),
        "probing": _probing(shop, size),
    }.items():
        found += _figures(name, spent, machine)
    return found


def least_share(shop: Workshop, count: int) -> float:
    """What no rebuild can save, as a share of the operations of an edit from nothing: the prompts' way through the
    layers up to the last edited one, once. Counted on ``count`` facts."""
    requests = facts(count)
    once = _way_once(shop, requests)
    return once / (once + _counted(shop, requests)[TARGETS].flops)


def _counted(shop: Workshop, requests: Sequence[Rewrite]) -> Mapping[str, Meter]:
    """The operations and bytes of each step of an edit."""
    profile, work = Profile(), shop.session.app.work
    shop.search(requests, work.shown_by(profile.watching(work.progress)))
    profile.end()
    return {line.path[-1]: line.spent for line in profile.steps()}


def _edit(shop: Workshop, size: SuiteSize) -> dict[str, Meter]:
    """The search for target vectors, and the layers."""
    requests = facts(size.facts)
    counted = _counted(shop, requests)
    laps = shop.search(requests).laps
    return {
        name: Meter(laps[name].wall, laps[name].cpu, counted[name].flops, counted[name].bytes)
        for name in (TARGETS, LAYERS)
    }


def _way_once(shop: Workshop, requests: Sequence[Rewrite]) -> float:
    """Operations of the facts' prompts on their way through the layers up to the last edited one."""
    prompts = [task.prompts for task in shop.tasks(requests)]
    with frozen(shop.loaded.model), FlopCounter() as counted:
        forward = LayerwiseForward(shop.decoder, shop.layers, prompts)
        for _ in shop.layers:
            forward.inspect()
            forward.step()
    return float(counted.flops)


def _covariance(shop: Workshop, size: SuiteSize) -> Meter:
    loaded, texts = shop.loaded, shop.session.app.corpus or sampled(shop, size)
    layers, skipped = list(shop.recipe.layers), len(opening_ids(loaded.tokenizer))

    def work() -> None:
        source = corpus(shop.decoder, loaded.tokenizer, texts, size.tokens, shop.recipe.seed)
        scratch = Snapshots(Scratch(shop.session.artifacts), "limits")
        with frozen(loaded.model):
            measure(shop.decoder, source, layers, skipped, scratch, shop.session.app.work)

    return _both(work)


def _probing(shop: Workshop, size: SuiteSize) -> Meter:
    prompts = [r.template.replace("{}", r.subject) for r in facts(size.prompts)]
    model = shop.session.app.base.language_model()

    def work() -> None:
        model.complete(prompts, max_new_tokens=ANSWER_TOKENS)
        model.scores([(prompt, answer) for prompt in prompts for answer in ("Oslo", "Paris")])

    return _both(work)


def _both(work: Callable[[], None]) -> Meter:
    with FlopCounter() as counted:
        work()
    with lap() as running:
        work()
    return Meter(running.wall, running.cpu, counted.flops, counted.bytes)


def _figures(name: str, spent: Meter, machine: MachineSpeed) -> list[Figure]:
    return [
        Figure(f"limits.{name}.seconds", spent.wall, "s"),
        Figure(f"limits.{name}.operations", spent.flops / 1e9, "GFLOP"),
        Figure(f"limits.{name}.bytes", spent.bytes / 1e9, "GB"),
        Figure(f"limits.{name}.limit", machine.limit(spent), "s at the machine's speeds"),
        Figure(f"limits.{name}.of_limit", machine.limit(spent) / spent.wall, "share"),
    ]
