"""The one trainer: it learns, stops, resumes to the same weights, and leaves the global state alone."""

import pytest
import torch
from torch import nn

from insignia.core.errors import InputError, ModelError
from insignia.training import TrainOptions, fit


class Regression:
    """Least squares on a planted line, with dropout so that randomness matters."""

    def __init__(self, n=64, *, interrupt_after=None):
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(n, 3, generator=generator)
        self.y = self.x @ torch.tensor([[1.0], [-2.0], [0.5]])
        self.epochs_left = interrupt_after

    def batches(self, generator):
        if self.epochs_left is not None:
            if self.epochs_left == 0:
                raise KeyboardInterrupt
            self.epochs_left -= 1
        return torch.randperm(len(self.x), generator=generator).split(16)

    def loss(self, module, batch, generator):
        return (module(self.x[batch]) - self.y[batch]).square().mean()

    def validate(self, module):
        return (module(self.x) - self.y).square().mean().item()


def make_module():
    generator = torch.Generator().manual_seed(2)
    module = nn.Sequential(nn.Dropout(0.1), nn.Linear(3, 1))
    with torch.no_grad():
        module[1].weight.normal_(generator=generator)
        module[1].bias.zero_()
    return module


def weights(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def test_it_finds_the_planted_line():
    module = make_module()
    result = fit(module, Regression(), TrainOptions(epochs=60, learning_rate=0.1), seed=0)
    assert result.validation_loss[result.best_epoch] < 0.05 * result.validation_loss[0]
    assert not module.training


def test_equal_seeds_give_equal_weights_and_others_do_not():
    trained = []
    for seed in (0, 0, 1):
        module = make_module()
        fit(module, Regression(), TrainOptions(epochs=3), seed=seed)
        trained.append(weights(module))
    assert torch.equal(trained[0], trained[1])
    assert not torch.equal(trained[0], trained[2])


def test_the_last_weights_are_kept_when_asked_for():
    class Worsening(Regression):
        def validate(self, module):
            self.calls = getattr(self, "calls", 0) + 1
            return float(self.calls)

    kept = {}
    for keep in ("best", "last"):
        module = make_module()
        result = fit(module, Worsening(), TrainOptions(epochs=12, patience=3, keep=keep), seed=0)
        kept[keep] = result.best_epoch, weights(module)
    assert kept["best"][0] == 0
    assert kept["last"][0] == 11
    assert not torch.equal(kept["best"][1], kept["last"][1])
    with pytest.raises(InputError, match="keep takes"):
        TrainOptions(keep="first")


def test_the_global_random_state_is_left_alone():
    module = make_module()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(module, Regression(), TrainOptions(epochs=1), seed=0)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("ema_decay", [None, 0.5])
def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path, ema_decay):
    options = TrainOptions(epochs=6, learning_rate=0.05, ema_decay=ema_decay)
    whole = make_module()
    expected = fit(whole, Regression(), options, seed=3)
    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(KeyboardInterrupt):
        fit(make_module(), Regression(interrupt_after=3), options, seed=3, checkpoint=checkpoint)
    resumed = make_module()
    result = fit(resumed, Regression(), options, seed=3, checkpoint=checkpoint)
    assert result == expected
    assert torch.equal(weights(resumed), weights(whole))
    assert not checkpoint.exists()


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(KeyboardInterrupt):
        fit(make_module(), Regression(interrupt_after=1), TrainOptions(epochs=4), seed=3, checkpoint=checkpoint)
    with pytest.raises(InputError, match="Use the same options to go on"):
        fit(make_module(), Regression(), TrainOptions(epochs=5), seed=3, checkpoint=checkpoint)


def test_training_stops_when_nothing_improves_and_keeps_the_best_weights():
    class Worsening(Regression):
        count = 0

        def validate(self, module):
            Worsening.count += 1
            self.seen = [*getattr(self, "seen", []), weights(module).clone()]
            return float(Worsening.count)

    module, objective = make_module(), Worsening()
    result = fit(module, objective, TrainOptions(epochs=30, patience=3), seed=0)
    assert (result.stopped_early, result.epochs, result.best_epoch) == (True, 4, 0)
    assert torch.equal(weights(module), objective.seen[0])


def test_a_moving_average_lags_behind_the_weights():
    plain, averaged = make_module(), make_module()
    fit(plain, Regression(), TrainOptions(epochs=1, patience=0), seed=0)
    fit(averaged, Regression(), TrainOptions(epochs=1, patience=0, ema_decay=0.9), seed=0)
    start = weights(make_module())
    assert torch.norm(weights(averaged) - start) < torch.norm(weights(plain) - start)


def test_a_loss_that_is_not_finite_is_an_error():
    class Broken(Regression):
        def loss(self, module, batch, generator):
            return super().loss(module, batch, generator) * float("nan")

    with pytest.raises(ModelError, match="lower learning_rate"):
        fit(make_module(), Broken(), TrainOptions(epochs=1), seed=0)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"learning_rate": -1.0}, {"ema_decay": 1.5}, {"patience": -1}])
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError, match="found"):
        TrainOptions(**wrong)
