"""Parts of grpo_descriptor.py: prompts, rewards, listeners, and measurements that tell real gains from false ones."""
