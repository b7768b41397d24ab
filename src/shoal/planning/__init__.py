"""What is to be done: architectures, the order of their parameters, estimated costs, the plan."""
