"""A model that was trained before from the same things is taken instead of being trained again."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from hatch_model._artifacts import Artifact
from hatch_model._fingerprint import FORMAT, changes
from hatch_model._frontend import FrontendGoneError
from hatch_model._progress import Progress
from hatch_model._settings import RETRAIN, retrain_wanted
from hatch_model._store import Store, store_folder, store_limit
from hatch_model._trained import TrainedModel
from hatch_model.errors import OrphanedError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hatch_model._fingerprint import Ingredients
    from hatch_model._log import Log
    from hatch_model._sources import TrainingTree
    from hatch_model._store import Claim, Entry


def reuse_or_train(
    ingredients: Ingredients,
    train: Callable[[], TrainedModel],
    *,
    project: str,
    tree: TrainingTree,
    path: Sequence[str],
    log: Log,
) -> TrainedModel:
    """Take the model of *ingredients* from the store, or *train* it and put it there.

    Of all builds of one fingerprint on this machine, one does so at a time. *path* is the
    ``sys.path`` that a model which is not trained here can be tried with. A store that does not work
    costs no more than a training.
    """
    with ExitStack() as stack:
        try:
            store = Store(store_folder(), store_limit())
            claim = stack.enter_context(
                store.claim(
                    ingredients.fingerprint,
                    on_wait=lambda: log.info(
                        "another build is training this model: waiting for it"
                    ),
                )
            )
        except FrontendGoneError:
            raise OrphanedError(ingredients.given["setting"]["train"]) from None
        except StoreError as error:
            log.warning(f"{error} The model is trained, and not kept for later builds.")
            return train()
        entry = None if retrain_wanted() else _held(claim, ingredients, log)
        if entry is not None:
            log.info(
                "reusing the model that was trained before, as nothing has changed since "
                f"({RETRAIN}=1 trains it again)"
            )
            return _restored(entry, tree, path)
        for line in _reasons(store, ingredients, project):
            log.info(line)
        trained = train()
        _keep(claim, trained, ingredients, project, log)
        return trained


def _held(claim: Claim, ingredients: Ingredients, log: Log) -> Entry | None:
    """Give what the store has, if that is made of the same things and as it was, and hold it there."""
    entry = claim.find()
    if entry is None or _changes_since(entry.description, ingredients):
        return None
    try:
        entry.hold()
    except StoreError as error:
        log.warning(f"{error} The model is trained again.")
        return None
    damage = entry.damage(Progress(log.info))
    if damage:
        log.warning(f"the stored model is damaged: {damage} It is trained again.")
        return None
    return entry


def _changes_since(description: Mapping[str, Any], ingredients: Ingredients) -> list[str]:
    before = description["parts"]
    return changes(before, ingredients.parts_like(before, description["artifacts"]))


def _reasons(store: Store, ingredients: Ingredients, project: str) -> list[str]:
    """Say why there is something to train: what has changed since the last training."""
    if retrain_wanted():
        return [f"{RETRAIN} is set, so the model is trained whether anything has changed or not"]
    last = _last_training(store, project)
    if last is None:
        return ["no model of this project is stored that could be reused"]
    changed = _changes_since(last, ingredients)
    if not changed:
        return []  # It was damaged, which has been said.
    return ["changed since the last training:", *(f"  {line}" for line in changed)]


def _last_training(store: Store, project: str) -> Mapping[str, Any] | None:
    try:
        descriptions = [entry.description for entry in store.entries()]
    except StoreError:
        return None
    of_project = (
        each
        for each in descriptions
        if (each.get("format"), each.get("project")) == (FORMAT, project)
    )
    return next(of_project, None)


def _restored(entry: Entry, tree: TrainingTree, path: Sequence[str]) -> TrainedModel:
    description = entry.description
    return TrainedModel(
        artifacts=[Artifact(path=at, source=file) for at, file in sorted(entry.files.items())],
        tree=tree,
        metrics=description["metrics"],
        environment=[(name, version) for name, version in description["environment"]],
        strangers=description["strangers"],
        imported=(),
        path=path,
        model_saved=description["model_saved"],
        in_tree=False,
    )


def _keep(
    claim: Claim, trained: TrainedModel, ingredients: Ingredients, project: str, log: Log
) -> None:
    description = {
        "format": FORMAT,
        "project": project,
        "parts": ingredients.parts_of(trained),
        "artifacts": [str(artifact.path) for artifact in trained.artifacts],
        "metrics": trained.metrics,
        "environment": trained.environment,
        "strangers": trained.strangers,
        "model_saved": trained.model_saved,
    }
    files = {artifact.path: artifact.source for artifact in trained.artifacts}
    try:
        # The next training would write into the files of the tree, and so into links to them.
        claim.keep(description, files, may_link=not trained.in_tree, progress=Progress(log.info))
    except StoreError as error:
        log.warning(f"{error} The model is not kept for later builds.")
