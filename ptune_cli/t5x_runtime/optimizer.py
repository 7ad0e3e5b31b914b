"""The optimizer of T5X that moves nothing but the prompt, by another one's rule."""

from typing import Any

from t5x import optimizers  # pyright: ignore[reportMissingImports] - not in every environment

from ptune_cli.t5x_runtime.subtree import prompts, with_prompts


class PromptOnly(optimizers.OptimizerDef):
    """A T5X optimizer, Adafactor or optax's, for the prompt alone. Of what stays as it is it keeps no state.

    Not T5X's MultiOptimizer: its state of what stays is None. That is saved as nothing, and asked for when a run goes on.
    """

    def __init__(self, optimizer: Any):
        super().__init__(optimizer.hyper_params)
        self.optimizer = optimizer

    def init_state(self, params: Any) -> Any:
        return self.optimizer.init_state(prompts(params))

    def apply_gradient(self, hyper_params: Any, params: Any, state: Any, grads: Any) -> tuple[Any, Any]:
        moved, state = self.optimizer.apply_gradient(hyper_params, prompts(params), state, prompts(grads))
        return with_prompts(params, moved), state

    def set_param_axes(self, param_logical_axes: Any) -> None:
        """Tells the optimizer the prompt's axes, if it is one that asks."""
        if hasattr(self.optimizer, "set_param_axes"):
            self.optimizer.set_param_axes(prompts(param_logical_axes))

    def derive_logical_axes(self, optimizer: Any, param_logical_axes: Any) -> Any:
        """The logical axes of all parameters, and of the state there is."""
        alone = optimizers.Optimizer(self.optimizer, optimizer.state, prompts(optimizer.target))
        axes = self.optimizer.derive_logical_axes(alone, prompts(param_logical_axes))
        return optimizer.replace(state=axes.state, target=param_logical_axes)

    def state_dict(self, target: Any, state: Any) -> Any:
        return self.optimizer.state_dict(target, state)

    def restore_state(self, opt_target: Any, opt_state: Any, state_dict: Any) -> Any:
        return self.optimizer.restore_state(opt_target, opt_state, state_dict)
