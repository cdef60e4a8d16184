"""What a segment writes into the inputs of a workflow: numbers as its model and its nodes take them."""
