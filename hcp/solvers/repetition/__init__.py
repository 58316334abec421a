"""Planning graphs of many equal layers by planning few of them."""
