"""How the bundled models were made: bases, pretraining, vision towers, recipes and measurements of costs."""
