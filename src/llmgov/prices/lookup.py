"""Finding a model's price: by its exact name or an approved alias, never by resemblance."""

from llmgov.snapshot import ModelPrice, PricePart


def find(prices: PricePart, provider: str, model: str) -> ModelPrice | None:
    """The price of `model` at `provider` (`openai`, `anthropic`), or `None`: a model without a price is not guessed."""
    return next(
        (
            price
            for price in prices.models
            if price.provider == provider and (price.model == model or model in price.aliases)
        ),
        None,
    )
