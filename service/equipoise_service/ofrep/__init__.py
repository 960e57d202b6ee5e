"""OpenFeature's remote evaluation protocol (OFREP): evaluation for every OpenFeature client."""
