"""Effects on sound: one module per family, one class per `type` of the contract, one registry."""
