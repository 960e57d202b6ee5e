"""Search a text with a finite automaton, in time linear in the text.

A program is Thompson's nondeterministic automaton. The states that a text leads it through are computed when
they are first needed and remembered, as in RE2 (Cox, "Regular Expression Matching in the Wild", 2010), in
bounded memory. A set of instructions is an integer, a bit for each instruction.
"""

from typing import Final, Literal

from equipoise._characters import CharacterSet

Instruction = CharacterSet | tuple[int, ...] | Literal["^", "$"]
"""Take one character of a set, go on at places relative to this one without taking any, or go on at the start
or the end of the text only. All but the second go on at the next instruction."""

Program = tuple[Instruction, ...]
"""Who gets past the last instruction has matched. Joining two programs' tuples joins what they match."""

MAX_STEPS: Final = 4_096
"""How many steps from state to state a pattern remembers; when there are more, it forgets them all."""


class State(dict[str, "State"]):
    """What a pattern waits for at one place of a text, with the next state for each character met so far.

    Threads may add the same step at once: they add equal ones, so there is no lock.
    """

    __slots__ = ("_pattern", "_waiting", "accepts")

    def __init__(self, pattern: "Pattern | None", waiting: int, accepts: bool) -> None:
        super().__init__()
        self._pattern = pattern
        self._waiting = waiting
        self.accepts = accepts

    def __missing__(self, character: str) -> "State":
        if self._pattern is None:
            return self
        following = self[character] = self._pattern.step(self._waiting, character)
        return following


MATCHED: Final = State(None, 0, True)
"""Whatever follows, the text matches."""

FAILED: Final = State(None, 0, False)
"""Whatever follows, the text does not match."""


class Pattern:
    """A compiled pattern.

    A search takes time linear in the text, whatever the pattern, in bounded memory. Threads may share one.
    """

    __slots__ = (
        "_again",
        "_empty",
        "_final",
        "_first",
        "_matched",
        "_next_alone",
        "_reach",
        "_room",
        "_sets",
        "_start",
        "_states",
    )

    def __init__(self, program: Program) -> None:
        self._matched = 1 << len(program)
        self._reach = _reach(program)
        self._again = self._reach[0]
        self._first = _reach(program, "^")[0]
        self._empty = bool(_reach(program, "^$")[0] & self._matched)
        at_end = _reach(program, "$")
        self._final = self._next_alone = 0
        self._sets: dict[CharacterSet, int] = {}
        for place, instruction in enumerate(program):
            if isinstance(instruction, CharacterSet):
                self._sets[instruction] = self._sets.get(instruction, 0) | 1 << place
                if self._reach[place + 1] == 2 << place:
                    self._next_alone |= 1 << place
            elif instruction == "$" and at_end[place] & self._matched:
                self._final |= 1 << place
        self._states: dict[int, State] = {}
        self._forget()

    def search(self, text: str) -> bool:
        """Return whether the pattern matches anywhere in the text."""
        if not text:
            return self._empty
        state = self._start
        for character in text:
            state = state[character]
            if state is MATCHED or state is FAILED:
                break
        return state.accepts

    def step(self, waiting: int, character: str) -> State:
        """Compute the state after `character`, from the instructions that wait for it."""
        if self._room <= 0:
            self._forget()
        self._room -= 1
        taken = waiting & sum(places for members, places in self._sets.items() if members.holds(character))
        following = self._again | (taken & self._next_alone) << 1
        taken &= ~self._next_alone
        while taken:
            lowest = taken & -taken
            following |= self._reach[lowest.bit_length()]
            taken ^= lowest
        return self._state(following)

    def _state(self, waiting: int) -> State:
        if waiting & self._matched:
            return MATCHED
        if not waiting:
            return FAILED
        state = self._states.get(waiting)
        if state is None:
            state = self._states[waiting] = State(self, waiting, bool(waiting & self._final))
        return state

    def _forget(self) -> None:
        """Start anew; a search that is still in a forgotten state computes its next step anew."""
        for state in list(self._states.values()):
            state.clear()  # states refer to each other; without this, only the garbage collector frees them
        self._states = {}
        self._room = MAX_STEPS
        self._start = self._state(self._first)


def _reach(program: Program, passing: str = "") -> list[int]:
    """Return the instructions that can be reached from each one without taking a character.

    Args:
        program: the program.
        passing: the anchors that are passed; another `^` is a dead end, another `$` is reached and waits.
    """
    end = len(program)
    reach = [0] * end + [1 << end]
    changed = True
    while changed:  # once more for each loop within a loop
        changed = False
        for place in reversed(range(end)):
            instruction = program[place]
            if isinstance(instruction, tuple):
                reached = 0
                for step in instruction:
                    reached |= reach[place + step]
            elif isinstance(instruction, str) and instruction in passing:
                reached = reach[place + 1]
            else:
                reached = 0 if instruction == "^" else 1 << place
            if reached != reach[place]:
                reach[place] = reached
                changed = True
    return reach
