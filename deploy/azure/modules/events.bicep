// Lets a vault tell certroll's webhook of new versions, with a token of Microsoft Entra ID on each delivery.
//
// A vault has one system topic at most. Where there is one already, as after `az eventgrid event-subscription create`, say its name.

@description('The vault.')
param vaultName string

@description('Region of the vault, which is that of its topic.')
param location string

@description('Name of the vault\'s system topic.')
param topicName string = '${vaultName}-events'

@description('Address of the webhook.')
@minLength(1)
param endpoint string

@description('Tenant that gives the tokens.')
param tenantId string

@description('Application that stands for the webhook. Without one, deliveries would prove nothing.')
@minLength(1)
param applicationId string

resource vault 'Microsoft.KeyVault/vaults@2022-07-01' existing = {
  name: vaultName
}

resource topic 'Microsoft.EventGrid/systemTopics@2022-06-15' = {
  name: topicName
  location: location
  properties: {
    source: vault.id
    topicType: 'Microsoft.KeyVault.vaults'
  }
}

resource delivery 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2022-06-15' = {
  parent: topic
  name: 'certroll'
  properties: {
    destination: {
      endpointType: 'WebHook'
      properties: {
        endpointUrl: endpoint
        azureActiveDirectoryTenantId: tenantId
        azureActiveDirectoryApplicationIdOrUri: applicationId
      }
    }
    eventDeliverySchema: 'EventGridSchema'
    filter: {
      includedEventTypes: [
        'Microsoft.KeyVault.CertificateNewVersionCreated'
        'Microsoft.KeyVault.SecretNewVersionCreated'
        'Microsoft.KeyVault.VaultAccessPolicyChanged'
      ]
    }
  }
}
