"""The names that the generator, Karbor's stand-ins and the judge agree on."""
PROJECT = 'a0' * 16
PROVIDER = '5b0f3c2e-7f1d-4d0a-9c51-0a6d2f6c7e01'
PLAN = '8d1f6a52-30b4-4f0e-8f0a-6a2d5b1c9e77'
CHECKPOINT = '2c9d8b64-1e7f-4a35-b0c8-77d0e5f3a912'
TOKEN = 'user:' + PROJECT
