"""The operator's command line: everything through the cell's public actions, services and topics."""
