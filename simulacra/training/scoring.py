"""The scores of a run's checkpoints: measured while it trains, and its best one once more with fresh seeds at the end."""

from __future__ import annotations

import torch

from simulacra import distributed
from simulacra.console import Begin, silent
from simulacra.data.opening import open_dataset
from simulacra.measure.choose import CheckpointScorer, add_score, mark_best, read_scores, score_anew, since_best
from simulacra.measure.extractors.features import open_extractor
from simulacra.measure.model_under_test import model_under_test
from simulacra.measure.score_records import Best
from simulacra.model import Model
from simulacra.storage import fingerprint, load
from simulacra.training.plan import Plan


class RunScores:
    """The scores of a run that is being trained."""

    def __init__(self, plan: Plan, device: torch.device) -> None:
        self.plan, self.device = plan, device
        self._scorer: CheckpointScorer | None = None

    def scorer(self) -> CheckpointScorer:
        """The scorer, opened when it is first needed."""
        if self._scorer is None:
            data, extractor = open_dataset(self.plan.source), open_extractor(device=self.device)
            taught = distributed.of_first(lambda: model_under_test(self.plan.folder).taught_by(extractor))
            self._scorer = CheckpointScorer(data, extractor=extractor, taught=taught)
        return self._scorer

    def measure(self, model: Model, nimg: int) -> bool:
        """Score the checkpoint just written and mark the best; True when the scores no longer improve.

        The processes share the work; the first one alone reads and writes the run's folder.
        """
        folder = self.plan.folder
        if distributed.of_first(lambda: nimg not in {line["nimg"] for line in read_scores(folder)}):
            digest = distributed.of_first(lambda: fingerprint(folder / "checkpoints" / f"{nimg:09d}"))
            line = self.scorer().line(model, nimg, digest)
            if distributed.rank() == 0:
                add_score(folder, line)
        distributed.of_first(lambda: mark_best(folder))
        return distributed.of_first(self.enough)

    def enough(self) -> bool:
        """Whether so many scores in a row brought no new best that the run ends."""
        patience = self.plan.patience if self.plan.clock.measure else 0
        return bool(patience) and since_best(self.plan.folder) >= patience

    def measure_best_anew(self, advance: Begin = silent) -> Best | None:
        """Score the best and the last checkpoint once more, with fresh seeds: the best of many owes a part to chance.

        None for a run without scores. Takes as long as two scores; nothing where that was done before.
        """
        folder = self.plan.folder
        best = distributed.of_first(lambda: mark_best(folder)) if self.plan.clock.measure else None
        if best is None or "anew" in best:
            return best
        return score_anew(folder, self.scorer(), self.load, advance)

    def load(self, nimg: int) -> Model:
        """A checkpoint's model; the other processes take it from the first one, which has the run's folder."""
        path = self.plan.folder / "checkpoints" / f"{nimg:09d}"
        own = distributed.together(lambda: load(path, self.device) if distributed.rank() == 0 else None)
        model = own or self.plan.gan.generator(self.plan.config).to(self.device).eval().requires_grad_(False)
        distributed.copy_first(model.state_dict, model.load_state_dict, self.device)
        return model
