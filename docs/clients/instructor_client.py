"""Structured output: pip install instructor."""

import os

import instructor
from openai import OpenAI
from pydantic import BaseModel


class Person(BaseModel):
    """Fields that the answer must have."""

    name: str
    age: int


url = os.environ.get("LLMDEAL_URL", "http://127.0.0.1:8000")
virtual_key = os.environ.get("LLMDEAL_KEY", "not-needed-on-loopback")
client = instructor.from_openai(OpenAI(base_url=f"{url}/v1", api_key=virtual_key), mode=instructor.Mode.JSON_SCHEMA)
person, completion = client.chat.completions.create_with_completion(
    model="smart-route",
    messages=[{"role": "user", "content": "Ann is 34 years old. Her name and age as JSON:"}],
    response_model=Person,
    max_tokens=60,
    temperature=0,
)
print(person.name, person.age)
print("USD", completion.usage.cost)
