"""Many questions to a language model, each answered once: requests, models, limits, and a store that a killed run goes
on from. Knows nothing of points: what is asked, and what counts as an answer, comes with each request."""
