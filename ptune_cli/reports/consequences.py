"""Why a setting of the recipe matters: one line for each of which something is known. Figures are the paper's.

What the recipe's values are is not said here but in its gin file.
"""

CONSEQUENCES = {
    "method": "the paper's baselines have recipes of their own; this one is of prompt tuning",
    "model.checkpoint": "LM adaptation is the best start, and longer is better; the largest model needs it least (Figure 3c, d)",
    "model vocabulary": "class labels and inputs split into other tokens",
    "model.dtype": "rounds activations otherwise; float32 is the more exact",
    "model.dropout_rate": "applies to the prompt's rows too",
    "tasks": "the paper leaves out the word of the dataset that T5 puts in front",
    "prompt.length": "beyond 20 rows little is gained, and the largest model does with one (Figure 3a)",
    "prompt.init": "class labels and frequent tokens are the better start, except for the largest model (Figure 3b)",
    "prompt.placement": "the paper has prompts in front of the input alone",
    "optimizer": "Adafactor's updates are clipped, so that the learning rate is the length of a step; other optimizers' are not",
    "optimizer.learning_rate": "as long as updates are clipped, every step moves the prompt's elements by this much (RMS)",
    "optimizer.schedule.shape": "at a constant rate the prompt keeps moving to the end, and it depends on where it stops",
    "optimizer.schedule.warmup_steps": "the first steps are shorter",
    "optimizer.start_step": "from the checkpoint's step the second moment remembers 68,000 steps and nearly every update is "
    "clipped; a fresh start is another optimizer",
    "optimizer.decay_rate": "how fast the second moment forgets",
    "optimizer.weight_decay": "not multiplied by the learning rate, in Adafactor",
    "optimizer.clip": "the bound of an update, and so of a step",
    "optimizer.factored": "the same for prompts of fewer than 128 rows",
    "optimizer.parameter_scale": "steps in proportion to the prompt's own size",
    "steps": "while updates are clipped a prompt grows with the square root of its steps",
    "batch_size": "Adafactor does not see the gradient's scale, so a batch changes the noise and the examples seen",
    "input_length": "longer inputs are cut, and lose their ends",
    "target_length": "longer targets are cut, and are never answered right",
    "every.evaluate": "the best step is one of those that are evaluated",
    "validation_split": "chooses the best step",
    "test_split": "the paper reports the scores of the validation split",
    "split_policy": "the paper reports the split that chose the step, which flatters; scores of the two policies do not compare",
    "protocol": "ranking labels gives no invalid answer; scores of the two protocols do not compare",
    "z_loss": "part of the loss, beside the cross-entropy",
    "number of seeds": "the paper gives mean and standard deviation over its runs",
}
