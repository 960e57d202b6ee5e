"""What happens to layers: they are made, changed and deleted, and experiments hold slots of them."""

import secrets
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from itertools import groupby

from sqlmodel import Session

from equipoise import BUCKETS
from equipoise_service.accounts.principals import Principal
from equipoise_service.errors import Conflict, NotFound
from equipoise_service.experiments import repository as experiments
from equipoise_service.layers import repository
from equipoise_service.layers.models import Holding, Layer
from equipoise_service.layers.schemas import HolderOut, LayerIn, LayerOut, LayerPatch
from equipoise_service.layers.slots import (
    Claim,
    Intervals,
    NoFreeSlots,
    ascending,
    resize,
    shared,
    size,
)

_NAMED = 20
"""How many users a refusal names."""


def make_salt() -> str:
    """A salt: 16 random lower-case hex characters, never derived from a name."""
    return secrets.token_hex(8)


def make_layer(session: Session, project_id: int, payload: LayerIn) -> Layer:
    """Make a layer with a salt of its own.

    Raises:
        Conflict: The project has a layer of that key.
    """
    if repository.layer_by_key(session, project_id, payload.key) is not None:
        raise Conflict(f"There is a layer {payload.key} already. Use it, or choose another key.")
    now = datetime.now(UTC)
    layer = Layer(
        project_id=project_id,
        key=payload.key,
        name=payload.name,
        description=payload.description,
        salt=make_salt(),
        created_at=now,
        updated_at=now,
    )
    session.add(layer)
    session.flush()
    return layer


def find(session: Session, principal: Principal, key: str) -> Layer:
    """The layer of a key in the principal's project.

    Raises:
        NotFound: There is none.
    """
    layer = repository.layer_by_key(session, principal.project_id, key)
    if layer is None:
        raise NotFound(f"There is no layer {key} in the project {principal.project}.")
    return layer


def change(session: Session, layer: Layer, payload: LayerPatch) -> None:
    """Change what a layer says about itself. Its slots and its salt stay."""
    for name in payload.model_fields_set:
        setattr(layer, name, getattr(payload, name))
    layer.version += 1
    layer.updated_at = datetime.now(UTC)
    session.add(layer)


def delete(session: Session, layer: Layer) -> None:
    """Delete a layer that no experiment is in.

    Raises:
        Conflict: An experiment is in it, now or in the past.
    """
    users = experiments.keys_in_layer(session, layer.id or 0)
    if users:
        raise Conflict(
            f"The layer {layer.key} holds {', '.join(users[:_NAMED])}. A layer that an experiment was "
            "registered in stays, so that its assignments can be recomputed.",
            type="in-use",
            used_by=users,
        )
    session.delete(layer)


def hold_slots(
    session: Session, layer: Layer, environment_id: int, experiment: str, count: int
) -> list[list[int]]:
    """Give an experiment exactly so many slots of a layer in an environment, keeping what it has.

    Returns:
        All its slots, as disjoint, ascending intervals.

    Raises:
        Conflict: The layer has not so many free slots; the error says how many, and who holds the others.
    """
    held = repository.holdings(session, [layer.id or 0], environment_id)
    mine = next((each for each in held if each.experiment == experiment), None)
    others = [each for each in held if each is not mine]
    claim = Claim(mine.taken, mine.former) if mine else Claim()
    try:
        claim = resize(claim, count, (each.taken for each in others))
    except NoFreeSlots as error:
        raise _no_free_slots(layer, experiment, others, error) from None
    holding = mine or Holding(
        layer_id=layer.id or 0, environment_id=environment_id, experiment=experiment, taken=[], former=[]
    )
    holding.taken = [list(each) for each in claim.taken]
    holding.former = [list(each) for each in claim.former]
    session.add(holding)
    session.flush()
    return ascending(holding.taken)


def hold_again(
    session: Session, layer: Layer, environment_id: int, experiment: str, slots: Intervals
) -> list[list[int]]:
    """Give an experiment that holds no slots of a layer exactly those that it had before.

    Returns:
        Them, as disjoint, ascending intervals.

    Raises:
        Conflict: Others hold some of them by now; the error says how many, and who.
    """
    others = repository.holdings(session, [layer.id or 0], environment_id)
    holders = [
        {"experiment": each.experiment, "slots": lost}
        for each in others
        if (lost := shared(each.taken, slots))
    ]
    if holders:
        named = ", ".join(f"{each['experiment']} ({each['slots']:,})" for each in holders[:_NAMED])
        lost = sum(shared(each.taken, slots) for each in others)
        raise Conflict(
            f"Of the {size(slots):,} slots that {experiment} had in the layer {layer.key}, others hold "
            f"{lost:,} by now: {named}. Stop these first, or do without.",
            type="no-free-slots",
            free=size(slots) - lost,
            needed=size(slots),
            holders=holders,
        )
    taken = ascending(slots)
    session.add(
        Holding(
            layer_id=layer.id or 0,
            environment_id=environment_id,
            experiment=experiment,
            taken=taken,
            former=[],
        )
    )
    session.flush()
    return taken


def present(session: Session, principal: Principal, layers: Collection[Layer]) -> list[LayerOut]:
    """The representations of layers in the principal's environment."""
    held = sorted(
        repository.holdings(session, [layer.id or 0 for layer in layers], principal.environment_id),
        key=lambda each: each.layer_id,
    )
    by_layer = {id: list(each) for id, each in groupby(held, key=lambda each: each.layer_id)}
    return [_present(principal, layer, by_layer.get(layer.id or 0, [])) for layer in layers]


def etag(layer: Layer) -> str:
    """The ETag of a layer, which changes with what can be changed of it."""
    return f'"{layer.id}-{layer.version}"'


def _present(principal: Principal, layer: Layer, held: Sequence[Holding]) -> LayerOut:
    return LayerOut(
        key=layer.key,
        name=layer.name,
        description=layer.description,
        salt=layer.salt,
        environment=principal.environment,
        free=BUCKETS - sum(size(each.taken) for each in held),
        holders=[HolderOut(experiment=each.experiment, slots=size(each.taken)) for each in held],
        created_at=layer.created_at,
        updated_at=layer.updated_at,
    )


def _no_free_slots(layer: Layer, experiment: str, others: Sequence[Holding], error: NoFreeSlots) -> Conflict:
    holders = [{"experiment": each.experiment, "slots": size(each.taken)} for each in others]
    named = ", ".join(f"{each['experiment']} ({each['slots']:,})" for each in holders[:_NAMED])
    return Conflict(
        f"The layer {layer.key} has {error.free:,} of {BUCKETS:,} slots free and {experiment} needs "
        f"{error.needed:,} more. The others are held by {named}. Stop or ramp down one of these, or take "
        "less traffic.",
        type="no-free-slots",
        free=error.free,
        needed=error.needed,
        holders=holders,
    )
