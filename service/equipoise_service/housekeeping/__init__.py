"""What keeps an installation in order: old facts and erased units go; all can be copied and taken away."""
