"""Webhooks: received, kept, processed; and the subscriptions that platforms send them by."""
