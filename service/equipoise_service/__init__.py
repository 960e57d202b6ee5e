"""The Equipoise service: experiments, evaluation, events, analysis and readouts over HTTP."""
