"""Amazon's Converse, spoken by Bedrock for the models of every vendor it hosts."""
