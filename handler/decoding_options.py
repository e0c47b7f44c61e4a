"""How to search: what a request and the configuration come down to."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingOptions:
    """How to search; the names are CTranslate2's."""

    beam_size: int = 1
    length_penalty: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    num_hypotheses: int = 1
    max_completion_tokens: int | None = None
    """Cap on each answer, all its sentences together."""
    stop: tuple[str, ...] = ()
    sampling: bool = False
    """Draw each token at random, instead of searching for the likeliest answer."""
    sampling_temperature: float = 1.0
    sampling_topp: float = 1.0
    logprobs: bool = False
    """Whether the log probability of each token of the answer is wanted."""

    @property
    def width(self) -> int:
        """Hypotheses that are decoded beside each other for one sentence."""
        return self.num_hypotheses if self.sampling else self.beam_size

    @property
    def hypotheses(self) -> int:
        """Different answers that are decoded: a search gives at most as many as its beam is wide."""
        return self.num_hypotheses if self.sampling else min(self.num_hypotheses, self.beam_size)

    @property
    def step_by_step(self) -> bool:
        """Whether tokens are final as soon as they are decoded; those of a beam are not."""
        return self.sampling or self.beam_size == 1

    @property
    def search(self) -> "DecodingOptions":
        """What sentences have to have in common to be decoded together.

        A cap ends each greedy or drawn hypothesis by itself, but decides on how far all beams of a batch go.
        """
        cap = None if self.step_by_step else self.max_completion_tokens
        return replace(self, max_completion_tokens=cap, stop=(), logprobs=False)
