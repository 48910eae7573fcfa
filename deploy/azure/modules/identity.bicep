// A user-assigned identity, and the federated credential by which the service account of a cluster may be it.

@description('Region of the identity.')
param location string

@description('Name of the identity.')
param name string

@description('Issuer of the cluster.')
param issuerUrl string

@description('Namespace that certroll is installed in.')
param kubernetesNamespace string

@description('Service account of certroll in the cluster.')
param serviceAccount string

// For whom the cluster makes the token out. Tokens of one cloud are not taken by another.
var audiences = {
  AzureCloud: 'api://AzureADTokenExchange'
  AzureChinaCloud: 'api://AzureADTokenExchangeChina'
  AzureUSGovernment: 'api://AzureADTokenExchangeUSGov'
}
var audience = audiences[environment().name]

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: name
  location: location
}

resource credential 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = {
  parent: identity
  name: 'kubernetes'
  properties: {
    issuer: issuerUrl
    subject: 'system:serviceaccount:${kubernetesNamespace}:${serviceAccount}'
    audiences: [
      audience
    ]
  }
}

output clientId string = identity.properties.clientId
output principalId string = identity.properties.principalId
