"""What a retrieval returned: documents, in whatever form a library gives them."""
