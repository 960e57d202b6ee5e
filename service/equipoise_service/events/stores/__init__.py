"""The engines that keep exposures and events, behind one interface: `store.EventStore`."""
