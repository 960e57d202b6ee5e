"""Many experiments: what they say together, and what each says in the light of the others."""
