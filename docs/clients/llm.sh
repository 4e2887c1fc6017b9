# pip install llm
# llm reads extra-openai-models.yaml from the folder of its log database. This script copies its own file there.
set -eu

cp "$(dirname "$0")/extra-openai-models.yaml" "$(dirname "$(llm logs path)")/"
llm keys set llmdeal --value "${LLMDEAL_KEY:-not-needed-on-loopback}"

llm -m smart-route 'What is the capital of France?' -o temperature 0 -o max_tokens 20
llm -m smart-route --schema 'name, age int' 'Ann is 34 years old. Her name and age as JSON:' \
    -o temperature 0 -o max_tokens 60
