"""The way in for facts: what the planner needs to know is looked up here, once."""
