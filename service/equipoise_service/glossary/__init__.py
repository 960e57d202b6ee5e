"""The glossary: what the words of readouts, plans and checks mean."""
