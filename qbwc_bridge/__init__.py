"""The SOAP service for the Web Connector, the session machine behind it, the signal relay and the .qwc file."""
